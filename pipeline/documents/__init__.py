"""The JSON documents that commands leave for one another: one class, one reader and one writer each."""
