"""The FieldTrip buffer, protocol version 1: codec, client, server and driver."""
