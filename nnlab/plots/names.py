"""The names of a run's figures, for those who must not import matplotlib to know them."""

RUN_FIGURES = ("curves", "confusion", "filters", "mistakes")  # also the names of the files
