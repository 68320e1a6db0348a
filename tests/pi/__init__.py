"""The bundle on emulated Raspberry Pis; ``make test-pi`` runs on_board.py as root."""
