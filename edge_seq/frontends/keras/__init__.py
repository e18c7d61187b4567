"""Files of Keras: opening, reading as a chain, and evaluation by Keras itself."""
