/* One line for each analyzer; no guard: included with different ANALYZER. */
ANALYZER(dns)
ANALYZER(http)
ANALYZER(ssl)
ANALYZER(dtls)
ANALYZER(quic)
ANALYZER(starttls)
ANALYZER(websocket)
