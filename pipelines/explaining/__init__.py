"""What `apportion explain` is made of: the question, the published ledger, the rebuilt charges, the words, and the printed lines."""
