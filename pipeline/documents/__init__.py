"""The JSON documents of the commands: one class, one reader and one writer each."""
