"""Package exported files: as an archive for a board, or as a page for a browser."""
