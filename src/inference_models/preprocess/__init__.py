"""From the images a caller has to the array a graph takes, and the way back."""
