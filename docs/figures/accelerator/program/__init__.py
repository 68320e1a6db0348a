"""The program that ``pack`` copies, with only PyTorch and numpy: ``python -m program --out OUT [--minutes M]``."""
