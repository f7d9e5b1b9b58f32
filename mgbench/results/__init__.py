"""Records, files and the layout of the results folder. Nothing here imports torch when it is loaded."""
