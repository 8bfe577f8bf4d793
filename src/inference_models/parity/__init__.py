"""Do the packages of a model, and the runtimes that read them, answer alike on this machine?"""
