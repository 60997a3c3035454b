//! Constant-cost keyset and offset pages for every sort on every database.
