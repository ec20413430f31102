"""Conformance suites that ship with the product; runtime code never imports them."""
