"""What brings the faults. Each is called with a world, strikes a number of times, and writes down what it did."""
