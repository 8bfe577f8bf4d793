"""One file per pipeline: the file name is the pipeline's name, and `PIPELINE` in it says what it is made of."""
