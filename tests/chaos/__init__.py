"""Real nodes under real faults, and clients that write down what they were answered (`tools/chaos`)."""
