"""One small file a chart: typed JSON -> Matplotlib figure, in the one style."""
