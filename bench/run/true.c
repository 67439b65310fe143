/* What there is of a start without a loader. */
int main(void)
{
	return 0;
}
