/* One line for each hunt; no guard: included with different HUNT. */
HUNT(rita)
