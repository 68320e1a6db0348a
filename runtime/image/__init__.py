"""An image in any form -> square RGB pixels."""
