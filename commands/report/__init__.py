"""Pictures of a recorded case: a journal as one page that needs nothing else."""
