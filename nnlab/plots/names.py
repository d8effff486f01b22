"""The names of figures, kept apart so that they can be used without matplotlib."""

RUN_FIGURES = ("curves", "confusion", "filters", "mistakes")  # also the names of the files
EXPLORE = "explore.html"  # the interactive page of a sweep
SWEEP_FIGURES = "those of the sweep"  # all of them, where they are missing
