"""The names of figures, kept apart so that they can be used without matplotlib."""

RUN_FIGURES = ("curves", "confusion", "filters", "mistakes")  # also the names of the files
SNAPSHOTS = "snapshots"  # the figure of a run that has taken some
EXPLORE = "explore.html"  # the interactive page of a sweep
SWEEP_FIGURES = "those of the sweep"  # all of them, where they are missing
