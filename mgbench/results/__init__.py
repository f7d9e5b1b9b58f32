"""What runs leave behind, and where: records, files, the results folder. Nothing here imports torch."""
