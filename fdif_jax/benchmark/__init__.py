"""How fast this machine is, measured in processes of their own; one module for each subject."""
