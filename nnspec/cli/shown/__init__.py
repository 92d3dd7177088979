"""What commands show: figures, tables and findings, for people and for programs."""
