"""Demo data: real purchases, landed as a retailer would land them."""
