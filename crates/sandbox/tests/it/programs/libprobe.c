/* What `mapped` is linked with. */
int probe(void);

int probe(void) { return 1; }
