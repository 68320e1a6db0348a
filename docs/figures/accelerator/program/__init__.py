"""What ``pack`` sends along: a training in PyTorch and numpy alone. ``python -m program --out OUT [--minutes M]``."""
