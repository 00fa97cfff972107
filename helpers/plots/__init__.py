"""Pictures and charts for a projector: ``show_*`` draws images, ``plot_*`` curves and charts.

Each returns its Axes, one or an array of them; none trains anything or calls ``plt.show``. In a
notebook, end the line with a semicolon: the figure is shown once, below the cell. Where nothing
shows figures, as in a script without a window, no list of open figures grows: a figure goes with
its last Axes. ``ax.figure.savefig(path)``, or ``axes[0].figure.savefig(path)`` of several, writes
it; ``plt.savefig`` would write an empty page there, for it does not know the figure. Where data
carry a note, as practice data do, the picture says so.
"""
