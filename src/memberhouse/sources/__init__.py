"""What comes in: every feed of every source, declared once."""
