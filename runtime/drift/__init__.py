"""Input drift monitoring: a sequential test on frame statistics reports when images or predictions have changed."""
