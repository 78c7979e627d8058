"""What outlives an update: network, database, table, buckets, keys, identity, secrets."""
