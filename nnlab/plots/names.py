"""The names of figures, for those who must not import matplotlib to know them."""

RUN_FIGURES = ("curves", "confusion", "filters", "mistakes")  # also the names of the files
SWEEP_FIGURES = "those of the sweep"  # all of them, where they are missing
