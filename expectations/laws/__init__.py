"""What must be true of each published table, a module a topic. A function named as the table returns its own laws."""
