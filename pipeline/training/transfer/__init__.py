"""Transfer learning on few photos: features of a pretrained network, and a new last layer fitted to them."""
