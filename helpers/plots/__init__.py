"""Pictures and charts for a projector: ``show_*`` draws images, ``plot_*`` curves and charts; each returns its Axes.

None trains anything or calls ``plt.show``: in a notebook, end the line with a semicolon. Where data carry a note, as
practice data do, the picture says so.
"""
