"""The live page: a web server that subscribes to a pipeline like any other client. A process of its own."""
