"""From labelled accelerometer recordings to recurrent-network firmware that is bit-exact everywhere."""
