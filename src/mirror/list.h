/* One line for each provider of mirrors; no guard: included with different PROVIDER. */
PROVIDER(azure)
PROVIDER(google)
PROVIDER(google_nsi)
PROVIDER(linux)
PROVIDER(ovs)
PROVIDER(vm)
