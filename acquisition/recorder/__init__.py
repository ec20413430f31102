"""The recorder: ring, write-ahead log, sealed shards; it depends on nothing that computes."""
