"""Few photos: features of a network that has seen a million pictures, and a new last layer fitted on them."""
