/* One line for each analyzer; no guard: included with different ANALYZER. */
ANALYZER(dns)
ANALYZER(http)
