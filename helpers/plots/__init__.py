"""Pictures and charts for a projector: ``show_*`` draws images, ``plot_*`` curves and charts.

Each returns its Axes, one or an array of them; none trains anything or calls ``plt.show``. In a
notebook, end the line with a semicolon: the figure is shown once, below the cell. Where nothing
shows figures, as in a script without a window, no list of open figures grows: a figure goes with
its last Axes, and ``ax.figure.savefig(path)`` writes it. Where data carry a note, as practice data
do, the picture says so.
"""
