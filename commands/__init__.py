"""Groups of commands of the command line; run_pipeline.py puts them together."""
