"""What must be true of each raw table at the door, a module a kind of source. A function ``<kind>__<table>`` returns that table's own checks."""
