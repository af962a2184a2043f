"""What is published, in the shapes of others: one module and one SQL file per shape.

Belongs here: reading a release and writing a file of it. Does not: the warehouse, any figure that is not published.
"""
