"""Looking after a results folder: what lies in it, what is wrong with it, what can go."""
