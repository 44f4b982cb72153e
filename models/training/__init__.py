"""Teaching a small model this one job: lessons made by a grammar, and what is trained on them."""
