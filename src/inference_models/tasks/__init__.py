"""One file per behaviour: the public base classes of models, and the tasks that our own graphs do."""
