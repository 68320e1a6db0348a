"""What the pipeline asks of the process that it runs in."""
